// SPDX-License-Identifier: MIT

// What the two programs of this folder share: arguments, two processes with a core each, figures
// (tests/bench/peers/peer.h says which).
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'

export const REQUEST_BYTES = 128
export const REQUESTS_AT_ONCE = 100
export const DIALS_AT_ONCE = 16
export const WARM_UP = 50

export const delay = ms => new Promise(resolve => setTimeout(resolve, ms))

export function say (name, value) {
  process.stdout.write(`${name} ${value.toFixed(1)}\n`)
}

// Resident memory, after a collection of garbage if node was started with --expose-gc.
export function rssBytes () {
  globalThis.gc?.()
  return process.memoryUsage().rss
}

// Counts what a receiver of bulk got; says the goodput from the first byte to the last.
export function counter (mib) {
  const total = mib * 1048576
  let start = 0
  let sum = 0
  return bytes => {
    if (sum === 0) start = performance.now()
    sum += bytes
    if (sum < total) return false
    if (sum > total) throw new Error('more bytes than were sent')
    say('bits_per_second', sum * 8e3 / (performance.now() - start))
    return true
  }
}

// Runs work n times, at most width at a time; it is told which of the width it is. Returns how
// often per second.
export async function rate (n, width, work) {
  let left = n
  const start = performance.now()
  const worker = async which => { while (left-- > 0) await work(which) }
  await Promise.all(Array.from({ length: width }, (_, which) => worker(which)))
  return n * 1e3 / (performance.now() - start)
}

export function versionOf (name) {
  const file = new URL(`node_modules/${name}/package.json`, import.meta.url)
  return `${name} ${JSON.parse(readFileSync(file)).version}`
}

// A process of this same program; its first line of output is "ready ADDRESS".
function start (core, role, args) {
  const own = [process.execPath, ...process.execArgv, process.argv[1]]
  return spawn('taskset', ['-c', String(core), ...own, role, ...args],
    { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function pair (args) {
  const server = start(0, 'serve', args)
  const [first] = await once(server.stdout, 'data')
  const [line, ...rest] = first.toString().split('\n')
  process.stdout.write(rest.join('\n'))
  server.stdout.pipe(process.stdout, { end: false })
  const client = start(1, 'drive', [...args, line.split(' ')[1]])
  client.stdout.pipe(process.stdout, { end: false })
  const [code] = await once(client, 'close')
  server.kill('SIGKILL')
  await once(server, 'close')
  process.exit(code ?? 1)
}

// serve(figure, n, kind) and drive(figure, n, address, kind); kind is what the program is told
// before the figure, for instance which transport.
export async function main (kinds, versions, serve, drive) {
  const args = process.argv.slice(2)
  if (args[0] === 'serve') {
    return serve(args[2], Number(args[3]), args[1])
  }
  if (args[0] === 'drive') {
    await drive(args[2], Number(args[3]), args[4], args[1])
    process.exit(0)
  }
  if (kinds.includes(args[0]) && args[1] === 'version') {
    process.stdout.write(`version ${versions(args[0])}, node ${process.version}\n`)
    return
  }
  if (!kinds.includes(args[0]) || !(Number(args[2]) > 0)) {
    process.stderr.write(`${kinds.join('|')} bulk|handshakes|requests|idle N, or version\n`)
    process.exit(2)
  }
  await pair(args)
}
