import { GibilError } from '@gibil/contract'
import { interpreterImage } from '../interpreter.ts'

/** What a template of E2B is here: an image, and whom commands run as when nobody says. */
interface TemplateImage {
  readonly image: string
  readonly user?: string
}

/** The templates that SDKs ask for when their user names none. */
const known: Readonly<Record<string, TemplateImage>> = {
  base: { image: 'e2b', user: 'user' },
  'code-interpreter-v1': { image: interpreterImage, user: 'user' },
}

/** A name that is not one of E2B's own is that of an image. The tag `default` is what no tag means. */
export function imageOf(template: string): TemplateImage {
  const name = template.replace(/:default$/, '')
  return known[name] ?? { image: name }
}

/** Whether it is one of E2B's own, that nobody can make another of. */
export const isKnown = (template: string): boolean => Object.hasOwn(known, template.replace(/:default$/, ''))

/** Says of one of E2B's own templates how it is made, where it is not there. */
export function explainMissing(template: string, error: unknown): unknown {
  const { image } = imageOf(template)
  if (!GibilError.is(error) || error.code !== 'image_not_found' || image === template) return error
  const how = `gibil image build ${image}`
  return new GibilError('image_not_found', `The template ${template} is not built yet: ${how}`, { hint: how })
}
