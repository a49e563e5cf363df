import type { Shape } from '@gibil/contract'
import type { Policy } from '../plane/deps.ts'

export type ImageDefaults = Pick<Policy, 'defaultImage' | 'dockerImage' | 'vmImage' | 'workstationImage'>

/** What a box is made of when nobody names an image; `docker`: its services are container images. */
export function defaultImage(shape: Shape, policy: ImageDefaults, docker = false): string {
  if (shape === 'vm') return policy.vmImage
  return docker && shape === 'microvm' ? policy.dockerImage : policy.defaultImage
}
