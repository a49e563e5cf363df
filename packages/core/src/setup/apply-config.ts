import type { Size } from '@gibil/contract'
import { shapeFor } from '../box/image-shape.ts'
import { checkFits } from '../box/sizes.ts'
import { checkCanMount } from '../box/volume-mounts.ts'
import { wantedBy } from '../box/wanted.ts'
import type { BoxRecord, Making } from '../box-record.ts'
import type { GibilConfig } from '../gibil-yml/config.ts'
import { parseIdle, parseTtl } from '../lease/terms.ts'
import { driverOf, withReason } from '../plane/chosen.ts'
import type { Context } from '../plane/context.ts'
import { resolveImage } from '../plane/images.ts'
import { managedBy } from '../plane/managed.ts'
import { checkCanPause, madeFor } from '../plane/settle.ts'

/** What a `.gibil.yml` changes of its box: in place, or (`remake`) by making it anew. */
export interface Effect {
  readonly patch: Partial<BoxRecord>
  readonly remake: Making | null
}

const sameSize = (a: Size, b: Size): boolean =>
  a.cpu === b.cpu && a.memoryMib === b.memoryMib && a.diskMib === b.diskMib

/** What the caller of create named himself wins. Throws what create throws for the same values. */
export async function effectOf(context: Context, record: BoxRecord, config: GibilConfig): Promise<Effect> {
  const { deps, drivers } = context
  const open = (field: BoxRecord['explicit'][number]): boolean => !record.explicit.includes(field)

  const ttl = record.ttlMs === null ? 'none' : `${record.ttlMs / 1000}s`
  const asked = { ...record, ttl, chosenBecause: record.chosenBecause ?? null }
  const preset = await managedBy(context, record.provider, config)
  const to = wantedBy(config, asked, record.explicit, context.policy, preset)
  const { shape: wanted, image, size } = to
  const place = { ...to, provider: record.provider }
  const same = image === record.image && wanted === record.shape
  // Where there is no such shape at all that is what to say, not that nobody has made its image.
  if (wanted !== record.shape) driverOf(drivers, place)
  const ref = image === record.image ? record.imageDigest : image
  const resolved = same
    ? undefined
    : await resolveImage(deps.images, record.provider, ref).catch((error) => {
        throw withReason(error, place)
      })
  const shape = resolved ? shapeFor(resolved, wanted, !open('shape') || config.shape !== null) : wanted
  const imageDigest = resolved?.digest ?? record.imageDigest
  const making: Making = { shape, provider: record.provider, image, imageDigest, size }
  const setup = config.setup && !record.setup ? config.setup : undefined
  const other =
    setup !== undefined || shape !== record.shape || imageDigest !== record.imageDigest || !sameSize(size, record.size)
  if (other) {
    const driver = drivers.for(making)
    checkCanPause(driver, record.onExpire)
    if (record.volumes?.length) checkCanMount(driver, record.isolation)
    await checkFits(size, making, deps.host)
  }

  // The TTL that was settled at create must also be one that the new shape allows.
  const ttlMs =
    open('ttl') && config.ttl !== null
      ? parseTtl(config.ttl, shape)
      : shape === record.shape
        ? record.ttlMs
        : parseTtl(ttl, shape)
  const onExpire = open('onExpire') && config.onExpire !== null ? config.onExpire : record.onExpire
  const onIdle = (open('onIdle') ? config.onIdle : undefined) ?? record.onIdle
  checkCanPause(drivers.for(making), onExpire)
  if (onIdle !== undefined) checkCanPause(drivers.for(making), onIdle)
  return {
    patch: {
      config,
      chosenBecause: shape === wanted ? to.chosenBecause : madeFor(image),
      ports: config.ports,
      ...(setup ? { setup } : {}),
      ttlMs,
      // A lease that was extended meanwhile is left as the user wants it.
      ...(ttlMs === record.ttlMs ? {} : { expiresAt: ttlMs === null ? null : record.createdAt + ttlMs }),
      idleMs: open('idle') && config.idle !== null ? parseIdle(config.idle) : record.idleMs,
      onExpire,
      ...(onIdle === undefined ? {} : { onIdle }),
      ...(open('onFailure') && config.onFailure ? { onFailure: config.onFailure } : {}),
    },
    remake: other && record.remakes === 0 ? making : null,
  }
}
