import { SetUpE2b } from '@gibil/contract'
import * as z from 'zod'

/** How the door is set up: `$GIBIL_HOME/e2b/settings.json`. */
export const DoorSettings = z.strictObject({
  /** What a sandbox is made as. A full VM takes too long for what programs expect of E2B. */
  shape: SetUpE2b.shape.shape.unwrap(),
  /** On 127.0.0.1; 0: any that is free. */
  port: z.int().min(0).max(65_535),
  /** Sandboxes are `<port>-<id>.<domain>`. With a port where that is not 443. */
  domain: z.string(),
})
export type DoorSettings = z.infer<typeof DoorSettings>
