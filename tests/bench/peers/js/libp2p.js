// SPDX-License-Identifier: MIT

// js-libp2p as a peer of the benchmark: libp2p.js tcp|quic bulk|handshakes|requests|idle N. Over
// TCP it is noise and yamux. A node has one connection to another by default; "force" makes more,
// but dials at the same time become one, so handshakes come from as many nodes.
import './older.js'
import {
  counter, delay, main, rate, rssBytes, say, versionOf,
  DIALS_AT_ONCE, REQUESTS_AT_ONCE, REQUEST_BYTES, WARM_UP
} from './pair.js'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const PROTOCOL = '/bench/1'

async function node (kind, listens) {
  const connectionManager = {
    maxConnections: 10000,
    inboundConnectionThreshold: Infinity,
    maxIncomingPendingConnections: 1000,
    maxParallelDials: 100
  }
  const common = { connectionManager, connectionMonitor: { enabled: false } }
  if (kind === 'quic') {
    const { quic } = await import('@chainsafe/libp2p-quic')
    const addresses = { listen: listens ? ['/ip4/127.0.0.1/udp/0/quic-v1'] : [] }
    return createLibp2p({ ...common, addresses, transports: [quic()] })
  }
  const { tcp } = await import('@libp2p/tcp')
  const { noise } = await import('@libp2p/noise')
  const { yamux } = await import('@libp2p/yamux')
  return createLibp2p({
    ...common,
    addresses: { listen: listens ? ['/ip4/127.0.0.1/tcp/0'] : [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()]
  })
}

async function read (stream) {
  let length = 0
  for await (const chunk of stream) length += chunk.byteLength
  return length
}

async function serve (figure, n, kind) {
  const own = await node(kind, true)
  const count = counter(n)
  await own.handle(PROTOCOL, async stream => {
    if (figure === 'bulk') {
      for await (const chunk of stream) {
        if (count(chunk.byteLength)) stream.send(new Uint8Array(1))
      }
    } else {
      await read(stream)
      stream.send(new Uint8Array(REQUEST_BYTES))
      await stream.close()
    }
  }, { maxInboundStreams: 1000, maxOutboundStreams: 1000 })
  let up = 0
  let before = 0
  own.addEventListener('connection:open', async () => {
    if (figure !== 'idle') return
    up++
    const full = up === WARM_UP + n
    if (up !== WARM_UP && !full) return
    await delay(300)
    if (full) say('bytes_per_connection', (rssBytes() - before) / n)
    else before = rssBytes()
  })
  process.stdout.write(`ready ${own.getMultiaddrs()[0]}\n`)
}

async function request (connection) {
  const options = { maxOutboundStreams: 1000 }
  const stream = await connection.newStream(PROTOCOL, options)
  stream.send(new Uint8Array(REQUEST_BYTES))
  const reply = read(stream)
  await stream.close()
  const length = await reply
  if (length !== REQUEST_BYTES) throw new Error(`a reply of ${length} bytes`)
}

async function bulk (connection, mib) {
  const stream = await connection.newStream(PROTOCOL)
  const chunk = new Uint8Array(65536)
  const done = stream[Symbol.asyncIterator]().next()
  for (let left = mib * 1048576; left > 0; left -= chunk.length) {
    if (!stream.send(chunk)) await stream.onDrain()
  }
  await done
}

async function drive (figure, n, address, kind) {
  const own = await node(kind, false)
  const there = multiaddr(address)
  const dial = () => own.dial(there, { force: true })
  if (figure === 'bulk') {
    await bulk(await dial(), n)
  } else if (figure === 'requests') {
    const connection = await dial()
    await rate(Math.ceil(n / 10), REQUESTS_AT_ONCE, () => request(connection))
    say('requests_per_second', await rate(n, REQUESTS_AT_ONCE, () => request(connection)))
  } else if (figure === 'handshakes') {
    const made = Array.from({ length: DIALS_AT_ONCE }, () => node(kind, false))
    const nodes = await Promise.all(made)
    say('handshakes_per_second', await rate(n, DIALS_AT_ONCE, async which => {
      const connection = await nodes[which].dial(there, { force: true })
      connection.abort(new Error('done'))
    }))
  } else {
    await rate(WARM_UP, 1, dial)
    await delay(1000)
    await rate(n, 1, dial)
    await delay(1000)
  }
}

function versions (kind) {
  const quic = ['@chainsafe/libp2p-quic']
  const tcp = ['@libp2p/tcp', '@libp2p/noise', '@libp2p/yamux']
  return ['libp2p', ...(kind === 'quic' ? quic : tcp)].map(versionOf).join(', ')
}

await main(['tcp', 'quic'], versions, serve, drive)
