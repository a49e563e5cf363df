/** Set to 1, tests try every step that a driver names, and those run that take half a minute to wait for something. */
export const full = process.env['GIBIL_FULL'] === '1'

/** The steps or cases that a run tries: all if asked for, else every fourth and the last, which differ in what is there already. */
export function tried<Case>(cases: readonly Case[]): readonly Case[] {
  return full ? cases : cases.filter((_, index) => index % 4 === 0 || index === cases.length - 1)
}
