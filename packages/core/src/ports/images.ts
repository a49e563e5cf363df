import type { ResolvedImage } from './driver.ts'

/** Where images are found. */
export interface ImageSource {
  /** Throws `image_not_found` or `image_damaged`. */
  resolve(name: string): Promise<ResolvedImage>
}
