import { GibilError, type PublishedPort } from '@gibil/contract'
import type { BoxRecord, PublishedRecord } from '../box-record.ts'
import type { RandomBytes } from '../ports/random.ts'
import { hex } from '../util/hex.ts'
import type { Boxes } from './boxes.ts'
import type { ControlPlaneDeps } from './deps.ts'

/** A box and its published ports, with the secrets of those that are private. */
export interface Publication {
  readonly box: Pick<BoxRecord, 'id' | 'name' | 'owner' | 'status' | 'readiness' | 'failure'>
  readonly ports: readonly PublishedRecord[]
}

export interface Publishing {
  /** Again: another access, with the secret that it has. Throws `box_not_found`, `wrong_state`, `limit_reached`. */
  publish(ref: string, port: number, options: { readonly public: boolean }): Promise<Publication>
  /** Its secret is gone for ever. Throws `box_not_found`, `port_not_published`. */
  unpublish(ref: string, port: number): Promise<Publication>
  /** Throws `box_not_found`. */
  published(ref: string): Promise<Publication>
}

/** 128 bits: nobody guesses that. */
const secretBytes = 16
const mostPorts = 64

const publishedPort = (port: number, isPublic: boolean, random: RandomBytes): PublishedRecord => ({
  port,
  public: isPublic,
  secret: hex(random(secretBytes)),
})

/** The ports that the `.gibil.yml` of a box names, beside those that are published already. */
export function withDeclared(
  { published, ports }: Pick<BoxRecord, 'published' | 'ports'>,
  random: RandomBytes,
): readonly PublishedRecord[] {
  const missing = [...new Set(ports)].filter((port) => !published.some((known) => known.port === port))
  const room = Math.max(0, mostPorts - published.length)
  return inOrder([...published, ...missing.slice(0, room).map((port) => publishedPort(port, false, random))])
}

/** Ports of another box, each with a secret of its own. */
export const publishedAnew = (ports: readonly PublishedPort[], random: RandomBytes): readonly PublishedRecord[] => {
  const once = new Map(ports.map((one) => [one.port, one]))
  return inOrder([...once.values()].slice(0, mostPorts).map((one) => publishedPort(one.port, one.public, random)))
}

const inOrder = (ports: readonly PublishedRecord[]): readonly PublishedRecord[] =>
  ports.toSorted((one, other) => one.port - other.port)

export function createPublishing(boxes: Boxes, { random }: Pick<ControlPlaneDeps, 'random'>): Publishing {
  const change = async (
    ref: string,
    next: (record: BoxRecord) => readonly PublishedRecord[] | undefined,
  ): Promise<Publication> => {
    const { id } = await boxes.find(ref)
    await boxes.update(id, (record) => {
      if (record.desired === 'gone') {
        throw new GibilError('wrong_state', `The box "${record.name}" is being destroyed.`, {
          hint: 'Create another.',
        })
      }
      const published = next(record)
      return published && { published }
    })
    return published(id)
  }
  const published: Publishing['published'] = async (ref) => {
    const box = await boxes.find(ref)
    return { box, ports: box.published }
  }

  return {
    published,
    publish: (ref, port, options) =>
      change(ref, (record) => {
        const known = record.published.find((one) => one.port === port)
        if (known?.public === options.public) return undefined
        if (!known && record.published.length >= mostPorts) {
          throw new GibilError('limit_reached', `The box "${record.name}" has ${mostPorts} published ports already.`, {
            hint: `Take one back: \`gibil unpublish ${record.name} <port>\`.`,
          })
        }
        const others = record.published.filter((one) => one.port !== port)
        const one = known ? { ...known, public: options.public } : publishedPort(port, options.public, random)
        return inOrder([...others, one])
      }),
    unpublish: (ref, port) =>
      change(ref, (record) => {
        const left = record.published.filter((one) => one.port !== port)
        if (left.length === record.published.length) throw notPublished(record.name, port)
        return left
      }),
  }
}

export const notPublished = (name: string, port: number): GibilError =>
  new GibilError('port_not_published', `Port ${port} of the box "${name}" is not published.`, {
    hint: `Publish it: \`gibil publish ${name} ${port}\`.`,
  })
