import { defineProvider } from '@computesdk/provider'
import type { BoxHandle, Image } from '@gibil/sdk'
import { clientOf, type GibilConfig } from './client.ts'
import { runCommand, streamCommand } from './command.ts'
import { createBox, madeHere } from './create.ts'
import { filesystem } from './filesystem.ts'
import { getInfo, getUrl } from './info.ts'
import { ifThere } from './missing.ts'
import { type Saved, snapshotMethods } from './snapshots.ts'
import { templateMethods } from './templates.ts'

export type { GibilConfig } from './client.ts'

const named = (box: BoxHandle): { sandbox: BoxHandle; sandboxId: string } => ({ sandbox: box, sandboxId: box.ref })

/** `compute.setConfig({ provider: gibil({}) })`. A sandbox is a box, by its id; a template is an image; a snapshot is one of Gibil's. */
export const gibil = defineProvider<BoxHandle, GibilConfig, Image, Saved>({
  name: 'gibil',
  methods: {
    sandbox: {
      create: async (config, options) => named(await createBox(config, options)),
      getById: async (config, id) => {
        const box = await ifThere(clientOf(config).get(id))
        return box ? named(box) : null
      },
      list: async (config) => {
        const client = clientOf(config)
        return (await client.list()).filter(madeHere).map(({ id }) => named(client.box(id)))
      },
      // Destroying what is gone is no error: whoever retries has what he wanted.
      destroy: async (config, id) => void (await ifThere(clientOf(config).box(id).destroy())),
      runCommand,
      streamCommand,
      getInfo,
      getUrl,
      getInstance: (box) => box,
      filesystem,
    },
    snapshot: snapshotMethods,
    template: templateMethods,
  },
})
