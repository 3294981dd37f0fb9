// SPDX-License-Identifier: MIT

// udx-native as a peer of the benchmark: udx.js udx bulk MIB. It encrypts nothing and has no
// handshake: the client says its port in a message, then each end knows the other's stream.
import { counter, main, versionOf } from './pair.js'
import UDX from 'udx-native'
import { once } from 'node:events'

const HOST = '127.0.0.1'
const CLIENT_STREAM = 1
const SERVER_STREAM = 2

function open () {
  const udx = new UDX()
  const socket = udx.createSocket()
  socket.bind(0, HOST)
  return { udx, socket }
}

function serve (figure, n) {
  const { udx, socket } = open()
  const count = counter(n)
  socket.once('message', (message, from) => {
    const stream = udx.createStream(SERVER_STREAM)
    stream.connect(socket, CLIENT_STREAM, from.port, HOST)
    stream.on('data', data => { if (count(data.length)) stream.write(Buffer.alloc(1)) })
    socket.send(Buffer.from('go'), from.port, HOST)
  })
  process.stdout.write(`ready ${socket.address().port}\n`)
}

async function drive (figure, n, port) {
  const { udx, socket } = open()
  const chunk = Buffer.alloc(65536)
  const stream = udx.createStream(CLIENT_STREAM)
  stream.connect(socket, SERVER_STREAM, Number(port), HOST)
  socket.send(Buffer.from('hello'), Number(port), HOST)
  await once(socket, 'message')
  const done = once(stream, 'data')
  for (let left = n * 1048576; left > 0; left -= chunk.length) {
    if (!stream.write(chunk)) await once(stream, 'drain')
  }
  await done
}

await main(['udx'], () => versionOf('udx-native'), serve, drive)
