import { GibilError } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'
import type { Driver } from '../ports/driver.ts'
import type { Drivers } from './drivers.ts'

/** A box that is to be made, and why it has its shape where nobody named one. */
type Chosen = Pick<BoxRecord, 'shape' | 'provider' | 'chosenBecause'> & { readonly image?: string }

/** What keeps a box from being made, with why it was to have that shape: its owner did not ask for it, and may not expect it. */
export function withReason(error: unknown, { shape, provider, chosenBecause, image }: Chosen): unknown {
  if (!chosenBecause || shape === 'container' || provider !== 'local' || !GibilError.is(error)) return error
  const { code, message, hint, details, cause } = error
  const why = `The box is to be a ${shape} because ${chosenBecause.join('; ')}.`
  const build = `Build it: \`gibil image build ${image}\`, or name another image or shape (--image, --shape).`
  return new GibilError(code, `${message} ${why}`, {
    hint: code === 'image_not_found' && image !== undefined ? build : hint,
    details,
    cause,
  })
}

/** Throws as `Drivers.for`. */
export function driverOf(drivers: Drivers, box: Chosen): Driver {
  try {
    return drivers.for(box)
  } catch (error) {
    throw withReason(error, box)
  }
}
