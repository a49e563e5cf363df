/** @module Where volumes are kept, and their files while no box or any box has them. */
export { openVolumes, type VolumeKeeper } from './store.ts'
