/** @module What a machine is told by cloud-init when it boots first. Pure: text in, text out. docs/cloud-init.md says what a user may give. */
export { deadlinePath, moveDeadline } from './dead-man.ts'
export { renderNoCloudSeed, type Seed, type SeedOptions } from './no-cloud.ts'
export { usualPackages, type WantedPackage } from './packages.ts'
export { maxUserDataBytes, renderUserData, type UserDataOptions } from './user-data.ts'
export { checkUserText, type UserText, type UserTextKind } from './user-text.ts'
