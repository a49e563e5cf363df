import { GibilError } from '@gibil/contract'

/** What a WebSocket route answers to a request that is none. */
export async function upgradeNeeded(): Promise<never> {
  throw new GibilError('invalid_request', 'This route speaks WebSocket only.', {
    hint: 'Connect with a WebSocket client, or use the SDK.',
  })
}
