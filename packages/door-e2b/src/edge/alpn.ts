import { envdPort, portLabel } from '../target.ts'

/**
 * Whether a client of this host name may speak HTTP/2. The API and the inside of sandboxes are ours, and one connection carries all commands
 * of a client. What listens on another port of a sandbox is passed on as it comes, in HTTP/1.1.
 */
export function speaksHttp2(serverName: string): boolean {
  const port = portLabel(serverName)
  return port === undefined || port === envdPort
}
