/** @module What every driver of boxes on this machine needs of it, whatever their shape: names, networks, cgroups, programs. */
export { throwIfAborted } from './abort.ts'
export { type CgroupLayout, type Cgroups, createCgroups, parseCgroupLayout } from './cgroups.ts'
export { dialShared, dialSocket } from './dial.ts'
export { egressKept } from './egress-kept.ts'
export { etcFiles, inEtc, writeEtcFiles } from './etc-files.ts'
export { createExitWatch, type ExitWatch } from './exit-watch.ts'
export { directoriesIn, errnoOf, namesIn, parseJson, readIfThere, readNow, writeWhole } from './files.ts'
export { admitThroughHostFirewall, droppingChains, withdrawFromHostFirewall } from './firewall.ts'
export { assertHostRoom, roomNeeded } from './host-disk.ts'
export { onHost, runtimeError } from './host-errors.ts'
export { addressOf, gatewayOf, macOf, publicResolver } from './host-network.ts'
export { createKeyedLock, type KeyedLock } from './keyed-lock.ts'
export { isUp, readPid } from './liveness.ts'
export type { Log } from './log.ts'
export { canBecome, isMadeFor } from './made-for.ts'
export {
  assertBoxId,
  type HomeNames,
  homeNames,
  isBoxId,
  linkName,
  type RoutedPolicy,
  slotOfLink,
  volumeDisk,
} from './names.ts'
export { currentUpstream, type HomeNetwork, linkExists, openNetwork, ownLinks } from './network.ts'
export { createSlots, type Slots, slotCount, uidBaseOf } from './slots.ts'
export { hostPath, lastLine, locate, mustRun, type RunTool, runTool } from './tool.ts'
