import { createBoxdClient } from '@gibil/boxd-client'
import type { BoxPlane } from '@gibil/core'
import type { Api } from './api.ts'

/** boxd of the boxes that a control plane knows, for the routes: each call is a connection of its own. */
export const boxdOf =
  (plane: Pick<BoxPlane, 'connect'>): Api['boxd'] =>
  (ref, signal, options) =>
    createBoxdClient(async (dialling) => (await plane.connect(ref, dialling, options)).stream, { signal })
