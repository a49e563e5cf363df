import * as z from 'zod'
import { BoxState, boxLine, boxState } from '../results/box.ts'
import { findBox } from '../results/find.ts'
import { removes, sets, type Tool, tool } from '../tool.ts'
import { boxRef } from './fields.ts'

export const portPublish: Tool = tool({
  name: 'port_publish',
  title: 'Publish a port',
  description:
    'Gives a TCP port of a box an address for browsers and programs on the machine of the daemon. Private: its link holds a token. Give the link to the user.',
  effect: sets,
  input: z.object({
    box: boxRef,
    port: z.int().min(1).max(65_535),
    public: z.boolean().default(false).describe('without a token, for all users and web pages of that machine'),
  }),
  output: z.object({
    box: BoxState,
    url: z.string().nullable(),
    link: z.string().nullable().describe('with the token in it'),
    public: z.boolean(),
    listening: z.boolean().describe('whether a program in the box listens on it now'),
  }),
  async handle({ box: ref, port, public: open }, { gibil, signal }) {
    const { handle } = await findBox(gibil, ref, signal)
    const address = await handle.publish(port, { public: open, signal })
    const listening = (await handle.ports({ signal })).some((one) => one.port === port)
    const state = boxState(await handle.refresh())
    const note = listening ? '' : `nothing listens on port ${port} yet: start it with box_run and waitSeconds 0`
    return {
      data: { box: state, url: address.url, link: address.link, public: address.public, listening },
      text: [address.link ?? address.url ?? '', note, boxLine(state)].filter(Boolean).join('\n'),
    }
  },
})

export const portUnpublish: Tool = tool({
  name: 'port_unpublish',
  title: 'Take back a published port',
  description:
    'Takes the address of a port away, and its links with it: connections by it end. The program in the box goes on.',
  effect: removes,
  input: z.object({ box: boxRef, port: z.int().min(1).max(65_535) }),
  output: z.object({ box: BoxState }),
  async handle({ box: ref, port }, { gibil, signal }) {
    const { handle } = await findBox(gibil, ref, signal)
    await handle.unpublish(port, { signal })
    const state = boxState(await handle.refresh())
    return { data: { box: state }, text: `port ${port} is private to ${state.name} again\n${boxLine(state)}` }
  },
})
