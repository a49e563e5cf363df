import type { Alternative, Choice, CreateBox, Needs, Remark, Size } from '@gibil/contract'
import { defaultImage, type ImageDefaults } from '../box/default-image.ts'
import { chooseSize } from '../box/sizes.ts'
import type { Candidate } from './candidates.ts'
import { commandOf } from './command.ts'
import { type Host, type Judged, type Pick, pick } from './pick.ts'
import { endless, sizeFor, sizeNamed, sizeWish } from './size.ts'

export interface Machine extends Host {
  /** Whether processors of machines on this host are emulated; null: not known yet. */
  readonly emulated: boolean | null
}

/** What this host can tell of a choice without asking anybody: no price, and not whether the image is there. */
export type Recommendation = Omit<Choice, 'before' | 'cost'>

/** Which box is meant for some needs, and why. Throws `contradictory_needs`, `invalid_duration`, `invalid_size`. */
export function recommend(needs: Needs, machine: Machine, images: ImageDefaults): Recommendation {
  chooseSize(needs)
  const picked = pick(needs, machine)
  const { candidate, unavailable } = picked.chosen
  const { shape, provider } = candidate
  const image = needs.workstation ? images.workstationImage : defaultImage(shape, images, needsDocker(needs))
  const size = sizeFor(needs, candidate, machine)
  const create: CreateBox = {
    shape: needs.workstation ? 'managed' : shape,
    ...(provider === 'local' ? {} : { provider, ...cloudOf(needs) }),
    ...(needs.workstation || image === defaultImage(shape, images) ? {} : { image }),
    ...(needs.workstation ? sizeNamed(needs) : sizeWish(needs, size)),
    ...(needs.ttl === undefined ? {} : { ttl: String(needs.ttl).trim() }),
  }
  return {
    shape,
    provider,
    image,
    size,
    reasons: reasonsOf(picked),
    missing: [],
    warnings: [
      ...speedOf(picked.chosen, machine),
      ...smaller(size, sizeFor(needs, candidate, endless)),
      ...betterOne(picked),
      ...priceOf(candidate),
    ],
    unavailable,
    free: candidate.has.includes('costs nothing'),
    create,
    command: commandOf(create),
    others: picked.all.filter((one) => one !== picked.chosen).map((one) => alternative(one, picked)),
  }
}

const needsDocker = ({ docker, services }: Needs): boolean => docker === true || services === 'image'

function cloudOf({ location, maxHourly }: Needs): { cloud?: CreateBox['cloud'] } {
  if (location === undefined && maxHourly === undefined) return {}
  return {
    cloud: { ...(location === undefined ? {} : { location }), ...(maxHourly === undefined ? {} : { maxHourly }) },
  }
}

/** What each need asks for, and which box was preferred; without either, why it is the lightest. */
function reasonsOf({ rules, preference, chosen }: Pick): Remark[] {
  const asked = rules.map(({ rule: { need, because } }): Remark => ({ need, text: because }))
  if (preference) return [...asked, { need: preference.need, text: preference.because }]
  return asked.length > 0 || chosen.candidate.shape !== 'container' ? asked : [{ need: 'none', text: nothingMore }]
}

/** Why a box is a container when nobody asked for anything. */
export const nothingMore = 'nothing that was asked for needs more than a container, the lightest box'

function speedOf({ candidate, unavailable }: Judged, { emulated }: Machine): string[] {
  if (candidate.shape === 'container' || candidate.provider !== 'local' || emulated === false) return []
  const slow = 'programs run several times slower in it'
  if (emulated) return [`KVM does not work on this machine, so that the processor of this box is emulated: ${slow}.`]
  return unavailable ? [] : [`Whether KVM works on this machine is tried with the first such box; without it ${slow}.`]
}

const smaller = (size: Size, usual: Size): string[] =>
  size.cpu < usual.cpu || size.memoryMib < usual.memoryMib || size.diskMib < usual.diskMib
    ? ['The usual size is more than this machine has, so that this box is smaller.']
    : []

function betterOne({ best, chosen }: Pick): string[] {
  if (best === chosen || best.unavailable === null) return []
  return [
    `${capital(best.candidate.name)} would be the better box, but cannot be made here now: ${best.unavailable.message}`,
  ]
}

const priceOf = (candidate: Candidate): string[] =>
  candidate.has.includes('costs nothing') ? [] : ['It costs money until it is destroyed, also while it is stopped.']

function alternative(judged: Judged, { chosen, best, all, preference }: Pick): Alternative {
  const { candidate, lacks, unavailable } = judged
  const { shape, provider, burden } = candidate
  const comesFirst = judged === best || all.indexOf(judged) < all.indexOf(chosen)
  const passedOver = unavailable ? 'it cannot be made here now' : (preference?.because ?? burden)
  const note = comesFirst ? passedOver : burden
  return { shape, provider, lacks: [...lacks], note: lacks.length > 0 ? null : note, unavailable }
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
