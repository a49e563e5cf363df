import { type CreateVolume, Volume } from '@gibil/contract'
import * as z from 'zod'
import type { Transport } from './connect/transport.ts'

interface Cancel {
  readonly signal?: AbortSignal | undefined
}

/** Directories that outlive boxes, and that several containers have at once; by name or id. */
export interface Volumes {
  /** Its size counts as disk of its owner. Throws `name_in_use`, `limit_reached`, `disk_full`. */
  create(input: CreateVolume, options?: Cancel): Promise<Volume>
  /** Oldest first. */
  list(options?: Cancel): Promise<Volume[]>
  /** Throws `volume_not_found`. */
  get(ref: string, options?: Cancel): Promise<Volume>
  /** With all that is in it. Throws `volume_not_found`, and `wrong_state` while a box has it. */
  remove(ref: string, options?: Cancel): Promise<Volume>
}

export function createVolumes(transport: Transport): Volumes {
  const path = (ref: string): string => `/volumes/${encodeURIComponent(ref)}`
  return {
    create: (body, options = {}) => transport.call(Volume, 'POST', '/volumes', { body, ...options }),
    list: (options = {}) => transport.call(z.array(Volume), 'GET', '/volumes', options),
    get: (ref, options = {}) => transport.call(Volume, 'GET', path(ref), options),
    remove: (ref, options = {}) => transport.call(Volume, 'DELETE', path(ref), options),
  }
}
