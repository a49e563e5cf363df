/** @module boxd in a machine that is reached by SSH: put there, started and dialled over one connection. */
export { type BoxdSsh, type BoxdSshOptions, type Machine, openBoxdSsh } from './boxd-ssh.ts'
export { fingerprintOf } from './host-key.ts'
export { makeSshKey, type SshKey } from './ssh-key.ts'
