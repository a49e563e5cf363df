import { GibilError } from '@gibil/contract'

export function missing(id: string): GibilError {
  return new GibilError('box_not_found', `The host has no box ${id}, or what it kept of it is damaged.`)
}

export function notRunning(id: string, status: string): GibilError {
  return new GibilError('wrong_state', `Box ${id} does not run (it is ${status}).`)
}
