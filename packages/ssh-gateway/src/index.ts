/** @module An SSH server for all boxes: none of them needs an sshd. What a client asks for goes to boxd in the box that it named. */
export type { GatewayBoxes } from './boxes.ts'
export { createSshGateway, type SshGateway } from './gateway.ts'
export { type HostKey, readOrMakeHostKey } from './host-key.ts'
export { listenForSsh, type SshAddress, type SshListener } from './listen.ts'
