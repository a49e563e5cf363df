import type { ResolvedImage } from './driver.ts'

/** Where images are found. */
export interface ImageSource {
  /** `ref` is a name, or the digest that a name meant when a box was made. Throws `image_not_found` or `image_damaged`. */
  resolve(ref: string): Promise<ResolvedImage>
}
