/** @module A door for programs that were written for E2B: its SDKs, unmodified, on boxes of this daemon. */

export type { DoorDeps, DoorLog, PortGate, PortPasser } from './deps.ts'
export { createDoor, type Door } from './door.ts'
export { type Certificate, certificateFiles, provideCertificate } from './edge/certificate.ts'
export { checkGiven, forgetGiven, keepGiven, readGiven } from './edge/given-certificate.ts'
export { type Edge, openEdge } from './edge/listen.ts'
export { writePrivate } from './edge/write-private.ts'
export type { PortRefusal, PortVisit } from './ports.ts'
export { DoorSettings } from './settings.ts'
