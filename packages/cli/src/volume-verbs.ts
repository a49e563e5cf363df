import { formatBytes, formatDuration, type Volume } from '@gibil/sdk'
import { clean, table } from './output/text.ts'
import type { Session } from './session.ts'

/** The verbs below `gibil volume`. */
export const volumeVerbs = { create, list, remove }

const mib = 1024 * 1024

async function create(session: Session, name: string, { size }: { size?: number }): Promise<void> {
  const input = { name, ...(size === undefined ? {} : { sizeMib: size }) }
  const volume = await session.gibil.volumes.create(input, { signal: session.signal })
  session.emit(volume, `${clean(volume.name)}\n`)
  session.note(`${session.colors.green('✓')} ${clean(name)} holds ${formatBytes(volume.sizeMib * mib)}\n`)
  session.note(`  next: gibil create --volume ${clean(name)}:/data\n`)
}

async function list(session: Session, { quiet }: { quiet?: boolean }): Promise<void> {
  const volumes = await session.gibil.volumes.list({ signal: session.signal })
  if (volumes.length === 0) session.note('No volumes. Make one: gibil volume create shared\n')
  session.emit(volumes, () => {
    if (quiet) return volumes.map(({ name }) => `${clean(name)}\n`).join('')
    return volumes.length === 0 ? '' : volumeTable(volumes, session)
  })
}

function volumeTable(volumes: readonly Volume[], { colors }: Session): string {
  const rows = volumes.map(({ id, name, owner, sizeMib, bytes, boxes, createdAt }) => [
    // By its name the administrator finds his own alone.
    clean(owner === null ? name : `${name}@${owner} (${id})`),
    formatBytes(sizeMib * mib),
    formatBytes(bytes),
    clean(boxes.join(' ')) || '-',
    `${formatDuration(Date.now() - Date.parse(createdAt))} ago`,
  ])
  return table(['NAME', 'HOLDS', 'TAKES', 'BOXES', 'MADE'], rows, colors.dim)
}

async function remove(session: Session, refs: string[]): Promise<void> {
  const removed: Volume[] = []
  for (const ref of refs) {
    const volume = await session.gibil.volumes.remove(ref, { signal: session.signal })
    removed.push(volume)
    session.note(`${session.colors.green('✓')} ${clean(volume.name)} removed\n`)
  }
  session.emit(removed, '')
}
