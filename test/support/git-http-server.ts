/**
 * A real git server over HTTP: git's own http-backend behind node:http. Run as a program, so that it can live in another
 * network namespace: `node git-http-server.ts ROOT PORT [TOKEN]`. Below /private/ the token is needed, as basic auth with
 * any user, the way the large hosts take theirs. Prints "ready" when it listens.
 */
import { spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

const [root = '.', port = '0', token = ''] = process.argv.slice(2)

function allowed(request: IncomingMessage, path: string): boolean {
  if (!path.startsWith('/private/')) return true
  const [scheme, value = ''] = (request.headers.authorization ?? '').split(' ')
  const password = Buffer.from(value, 'base64').toString().split(':').slice(1).join(':')
  return scheme?.toLowerCase() === 'basic' && token !== '' && password === token
}

function serve(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://git.invalid')
  if (!allowed(request, url.pathname)) {
    response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="git"' }).end()
    return
  }
  const backend = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: String(request.headers['content-encoding'] ?? ''),
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  request.pipe(backend.stdin)
  backend.stdin.on('error', () => undefined)

  let head: Buffer | undefined = Buffer.alloc(0)
  backend.stdout.on('data', (data: Buffer) => {
    if (head === undefined) {
      response.write(data)
      return
    }
    head = Buffer.concat([head, data])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    const body = head.subarray(end + 4)
    for (const line of head.subarray(0, end).toString().split('\r\n')) {
      const [name = '', value = ''] = line.split(': ')
      if (name === 'Status') response.statusCode = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    head = undefined
    response.write(body)
  })
  backend.stdout.on('end', () => response.end())
}

createServer(serve).listen(Number(port), () => process.stdout.write('ready\n'))
