import { describe, expect, it } from 'vitest'
import { mirrorsFrom, publicSourceLines } from './apt-sources.ts'

describe('package mirrors', () => {
  it("takes Debian's own from the host's apt, and nobody else's", () => {
    const targets = [
      'https://packages.vendor.example/apt vendor-stable Vendor',
      'http://mirror.example/debian/ bookworm-updates Debian',
      'http://mirror.example/debian/ bookworm Debian',
      'http://mirror.example/debian-security/ bookworm-security Debian',
    ].join('\n')
    expect(mirrorsFrom(targets)).toEqual({
      mirror: 'http://mirror.example/debian',
      security: 'http://mirror.example/debian-security',
    })
  })

  it.each([
    '',
    'http://archive.ubuntu.com/ubuntu noble Ubuntu',
    'cdrom:[Debian]/ bookworm Debian',
    'http://x/"; rm bookworm Debian',
  ])('falls to deb.debian.org for %j', (targets) => {
    const { mirror, security } = mirrorsFrom(targets)
    expect([mirror, security]).toEqual(['http://deb.debian.org/debian', 'http://deb.debian.org/debian-security'])
  })

  it('names public mirrors in the image', () => {
    expect(publicSourceLines('bookworm', false)).toEqual([
      'deb http://deb.debian.org/debian bookworm main',
      'deb http://deb.debian.org/debian bookworm-updates main',
      'deb http://deb.debian.org/debian-security bookworm-security main',
    ])
  })
})
