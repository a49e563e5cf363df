import { describe, expect, it } from 'vitest'
import { hostTools, installCommand, isInstalled, missingTools } from './host-packages.ts'

describe('host packages', () => {
  it('finds a program that is there, also in sbin, and misses one that is not', async () => {
    expect(await isInstalled('sh')).toBe(true)
    expect(await isInstalled('no-such-program-anywhere')).toBe(false)
  })

  it('reports only what is missing', async () => {
    const there = { program: 'sh', package: 'dash', purpose: 'is a shell' }
    const absent = { program: 'no-such-program-anywhere', package: 'nothing', purpose: 'does nothing' }
    expect(await missingTools([there, absent])).toEqual([absent])
  })

  it('names each package once in the command to run', () => {
    const [first] = hostTools
    if (!first) throw new Error('there is no host tool')
    expect(installCommand([first, first])).toBe(`sudo apt-get update && sudo apt-get install -y ${first.package}`)
  })
})
