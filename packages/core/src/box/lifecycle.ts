import { GibilError, type Status } from '@gibil/contract'
import type { BoxRecord } from '../box-record.ts'

export type Verb = 'pause' | 'resume' | 'stop' | 'start' | 'restart' | 'extend' | 'destroy' | 'connect' | 'upload'

/** `go`: do it. `done`: it is so already. `wait`: allowed once the box runs. Anything else: refused, with what to do. */
type Rule = 'go' | 'done' | 'wait' | { readonly refuse: string }

const refuse = (hint: string): Rule => ({ refuse: hint })
const soon = refuse('Wait until it runs: `gibil list` shows it.')
const gone = refuse('It is being removed; create another.')
const resumeFirst = refuse('Resume it first: `gibil resume <box>`.')
const startFirst = refuse('Start it first: `gibil start <box>`.')
const startAgain = refuse('Try `gibil restart <box>`, or destroy it.')

/** Which verb may be used in which status. */
export const lifecycle: Readonly<Record<Status, Readonly<Record<Verb, Rule>>>> = {
  creating: {
    pause: soon,
    resume: soon,
    stop: soon,
    start: soon,
    restart: soon,
    extend: 'go',
    destroy: 'go',
    connect: 'wait',
    upload: 'wait',
  },
  running: {
    pause: 'go',
    resume: 'done',
    stop: 'go',
    start: 'done',
    restart: 'go',
    extend: 'go',
    destroy: 'go',
    connect: 'go',
    upload: 'go',
  },
  paused: {
    pause: 'done',
    resume: 'go',
    stop: 'go',
    start: resumeFirst,
    restart: 'go',
    extend: 'go',
    destroy: 'go',
    connect: 'go',
    upload: resumeFirst,
  },
  stopped: {
    pause: startFirst,
    resume: startFirst,
    stop: 'done',
    start: 'go',
    restart: 'go',
    extend: 'go',
    destroy: 'go',
    connect: startFirst,
    upload: startFirst,
  },
  failed: {
    pause: startAgain,
    resume: startAgain,
    stop: startAgain,
    start: 'go',
    restart: 'go',
    extend: 'go',
    destroy: 'go',
    connect: startAgain,
    upload: startAgain,
  },
  destroying: {
    pause: gone,
    resume: gone,
    stop: gone,
    start: gone,
    restart: gone,
    extend: gone,
    destroy: 'go',
    connect: gone,
    upload: gone,
  },
  destroyed: {
    pause: gone,
    resume: gone,
    stop: gone,
    start: gone,
    restart: gone,
    extend: gone,
    destroy: gone,
    connect: gone,
    upload: gone,
  },
}

/** What differs in a box that has stopped by itself, as by a reboot, and is about to run again. */
const comingBack: Readonly<Partial<Record<Verb, Rule>>> = { stop: 'go', connect: 'wait' }

/** Throws `wrong_state` that says the status and what to do. */
export function allow(verb: Verb, record: BoxRecord): 'go' | 'done' | 'wait' {
  // The record may still say running while it has been decided that the box goes.
  const status = record.desired === 'gone' ? 'destroying' : record.status
  const comesBack = status === 'stopped' && record.desired === 'running'
  const rule = (comesBack ? comingBack[verb] : undefined) ?? lifecycle[status][verb]
  if (typeof rule === 'string') return rule
  const what = verb === 'connect' ? 'reached' : verb === 'upload' ? 'given a repository' : past[verb]
  throw new GibilError('wrong_state', `The box "${record.name}" is ${status} and cannot be ${what}.`, {
    hint: rule.refuse.replaceAll('<box>', record.name),
    details: { status, name: record.name },
  })
}

const past: Readonly<Record<Exclude<Verb, 'connect' | 'upload'>, string>> = {
  pause: 'paused',
  resume: 'resumed',
  stop: 'stopped',
  start: 'started',
  restart: 'restarted',
  extend: 'extended',
  destroy: 'destroyed',
}
