import { provideBaseImage } from './home.ts'

/** Before the end-to-end suites: the one thing that they share and that takes minutes to make. */
export async function setup(): Promise<void> {
  await provideBaseImage()
}
