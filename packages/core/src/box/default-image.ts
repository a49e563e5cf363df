import type { Shape } from '@gibil/contract'
import type { Policy } from '../plane/deps.ts'

export type ImageDefaults = Pick<Policy, 'defaultImage' | 'vmImage'>

/** What a box is made of when nobody names an image. */
export const defaultImage = (shape: Shape, policy: ImageDefaults): string =>
  shape === 'vm' ? policy.vmImage : policy.defaultImage
