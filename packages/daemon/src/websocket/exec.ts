import { on } from 'node:events'
import type { CommandChannel } from '@gibil/boxd-client'
import { FrameType, GibilError, OpenCommand } from '@gibil/contract'
import type { WebSocket } from 'ws'
import type { Api } from '../api.ts'
import { asGibilError } from '../http/errors.ts'
import { checked } from '../http/validate.ts'
import { startRequest } from '../routes/start-request.ts'
import { bytesOf, sendBinary } from './send.ts'
import type { WebSocketHandler } from './upgrade.ts'

const openingMs = 30_000
const fromClient: ReadonlySet<number> = new Set([
  FrameType.stdin,
  FrameType.stdinEnd,
  FrameType.resize,
  FrameType.signal,
])
type ClientFrame =
  | typeof FrameType.stdin
  | typeof FrameType.stdinEnd
  | typeof FrameType.resize
  | typeof FrameType.signal
const isFromClient = (type: number | undefined): type is ClientFrame => type !== undefined && fromClient.has(type)

/** Messages that may wait for boxd to take them before the client is no longer read. Each may be 1 MiB. */
const waitingMessages = 1

/**
 * A command with streams both ways. What either side does not read stops the other: the WebSocket is not read while boxd
 * takes no input, and boxd is not read while the client takes no output. When the socket closes the command goes on.
 * Every failure after the upgrade is an `error` frame, the last one.
 */
export const exec: WebSocketHandler = async ({ box, search, signal, accept }, api) => {
  if (search.size > 0) throw new GibilError('invalid_request', 'This route takes no query; send an OpenCommand first.')
  const socket = await accept()
  socket.on('error', () => socket.terminate())
  const messages = receive(socket)
  try {
    const channel = await open(await firstMessage(messages), box, signal, api)
    socket.once('close', () => channel.close())
    try {
      // A failure to pass input is seen where the output is read, which also says when all is over.
      passInput(messages, channel).catch((error: unknown) => {
        if (GibilError.is(error)) socket.close(1003, error.message)
      })
      await passOutput(socket, channel)
    } finally {
      channel.close()
    }
  } catch (thrown) {
    const error = asGibilError(thrown, signal)
    api.log.debug({ code: error.code, message: error.message }, 'a command stream failed')
    await sendBinary(socket, frame(FrameType.error, Buffer.from(JSON.stringify(error.toBody()))))
  } finally {
    socket.close(1000)
  }
}

interface Message {
  readonly bytes: Buffer
  readonly isBinary: boolean
}

/** Messages from the first on, until the socket closes; the client is not read while some wait. */
async function* receive(socket: WebSocket): AsyncGenerator<Message> {
  const limits = { highWaterMark: waitingMessages, lowWaterMark: 1 }
  for await (const [data, isBinary] of on(socket, 'message', { close: ['close'], ...limits })) {
    yield { bytes: bytesOf(data), isBinary: isBinary === true }
  }
}

async function firstMessage(messages: AsyncGenerator<Message>): Promise<OpenCommand> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new GibilError('timeout', `No OpenCommand came within ${openingMs / 1000} s.`)),
    openingMs,
  )
  try {
    const first = await Promise.race([messages.next(), late.promise])
    if (first.done) throw new GibilError('cancelled', 'The client went away before it asked for a command.')
    const { bytes, isBinary } = first.value
    if (isBinary) throw new GibilError('invalid_request', 'The first message must be an OpenCommand as text.')
    return checked(OpenCommand, parsed(bytes), 'body')
  } finally {
    clearTimeout(timer)
  }
}

async function open(message: OpenCommand, box: string, signal: AbortSignal, api: Api): Promise<CommandChannel> {
  const boxd = api.boxd(box, signal)
  return 'attach' in message ? boxd.attach(message.attach, message.offset) : boxd.openCommand(startRequest(message))
}

function parsed(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString('utf8'))
  } catch (cause) {
    throw new GibilError('invalid_request', 'The first message is not JSON.', { cause })
  }
}

async function passInput(messages: AsyncGenerator<Message>, channel: CommandChannel): Promise<void> {
  for await (const { bytes, isBinary } of messages) {
    const type = bytes[0]
    if (!isBinary || !isFromClient(type)) throw new GibilError('invalid_request', 'not a frame for a command')
    await channel.send(type, bytes.subarray(1))
  }
}

async function passOutput(socket: WebSocket, channel: CommandChannel): Promise<void> {
  for await (const { type, payload } of channel) {
    if (socket.readyState !== socket.OPEN) return
    await sendBinary(socket, frame(type, payload))
    if (type === FrameType.exit || type === FrameType.error) return
  }
  throw new GibilError('boxd_unreachable', 'The connection to the box ended before the command did.', {
    hint: 'If the box still runs, attach to the command again.',
  })
}

function frame(type: FrameType, payload: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(payload.byteLength + 1)
  message[0] = type
  message.set(payload, 1)
  return message
}
