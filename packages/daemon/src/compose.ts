import { hash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { connectBoxd } from '@gibil/boxd-client'
import { createControlPlane, defaultPolicy } from '@gibil/core'
import { checkHost, createContainerDriver } from '@gibil/driver-container'
import { forgetHomeId } from '@gibil/driver-hetzner'
import { checkMicrovmHost, createMicrovmDriver, createVmDriver } from '@gibil/driver-qemu'
import { createHostKit } from '@gibil/hostkit-client'
import { openImageStore } from '@gibil/images'
import { openStore } from '@gibil/store'
import { openVolumes } from '@gibil/volumes'
import { boxdOf } from './boxd-access.ts'
import type { Compose } from './engine.ts'
import { createHetzner } from './hetzner.ts'
import { withImageEvents } from './image-events.ts'
import { systemClock } from './process/clock.ts'
import { createFailpoint } from './process/failpoint.ts'
import { hostFacts } from './process/host-facts.ts'
import { createSessionFiles } from './process/session-files.ts'
import { createSetupLog } from './process/setup-log.ts'
import { sourceTree } from './process/source-tree.ts'

/** Puts the real parts together: the one place that knows them all. */
export const compose: Compose = async (home, log, { failpoint, pool }) => {
  if (!existsSync(home.database)) await forgetHomeId(home.dir)
  const store = openStore(home.database)
  const hostkit = createHostKit({ binary: sourceTree.hostkit })
  const close = async (): Promise<void> => {
    await hostkit.close()
    await store.close()
  }
  try {
    const place = {
      home: home.dir,
      boxdBinary: sourceTree.boxd,
      hostkit,
      log: (level: 'debug' | 'info' | 'warn', message: string, facts: object) => log[level](facts, message),
      step: createFailpoint(failpoint),
    }
    const driver = createContainerDriver(place)
    const microvms = createMicrovmDriver({ ...place, hostkitBinary: sourceTree.hostkit })
    const vms = createVmDriver({ ...place, hostkitBinary: sourceTree.hostkit })
    const images = await openImageStore({
      home: home.dir,
      recipesDir: sourceTree.recipes,
      env: process.env,
      arch: process.arch,
      clock: systemClock,
      log,
      hostkit,
      networks: driver.buildNetworks,
      // Asked also while it opens, when there is no control plane yet.
      digestsInUse: async () =>
        new Set([
          ...(await store.listBoxes()).flatMap(({ imageDigest, remake, moving }) => [
            imageDigest,
            remake?.imageDigest ?? imageDigest,
            moving?.imageDigest ?? imageDigest,
          ]),
          ...(await store.listSnapshots()).map(({ saved }) => saved.imageDigest),
        ]),
    })
    const volumes = await openVolumes(home.dir, hostkit)
    const plane = createControlPlane({
      store,
      drivers: [driver, microvms, vms, createHetzner(place, process.env)],
      images,
      setupLog: createSetupLog(home.boxLogs),
      sessionFiles: createSessionFiles(home.sessions),
      volumes,
      clock: systemClock,
      random: (length) => randomBytes(length),
      digest: (text) => hash('sha256', text),
      connectBoxd,
      host: hostFacts(home.dir),
      log,
      step: place.step,
      policy: { pool: { ...defaultPolicy.pool, most: pool } },
    })
    const hostChecks = async () => (await Promise.all([checkHost(place), checkMicrovmHost(place)])).flat()
    return {
      plane,
      images: withImageEvents(images, plane),
      boxd: boxdOf(plane),
      hostChecks,
      volumeFiles: volumes.files,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
