import { expect, it } from 'vitest'
import { openWorld } from './world.ts'

const boxes = 20

/** One line each. Random bytes come first: what a program in the box reads before anything else. */
const facts = [
  'head -c 32 /dev/urandom | od -An -v -tx1 | tr -d " \\n"; echo',
  'cat /proc/sys/kernel/random/uuid',
  'cat /proc/sys/kernel/random/boot_id',
  'cat /etc/machine-id',
  'hostname',
  'cat /sys/class/net/eth0/address',
  "ip -o -4 address show dev eth0 | awk '{print $4}'",
  'ls /etc/ssh/ssh_host_*_key.pub 2>/dev/null | xargs -r cat | sha256sum | cut -d " " -f 1',
]
/** Of a box without keys of its own for SSH, the line on them is that of nothing. */
const sumOfNothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

it(`gives ${boxes} copies of one frozen machine no value twice that tells a machine`, {
  timeout: 600_000,
}, async () => {
  const world = await openWorld()
  try {
    const seen: string[][] = []
    for (let index = 0; index < boxes; index += 1) {
      const id = `copy${index}`
      await world.driver.create(world.spec(id))
      seen.push((await world.run(id, facts.join('; '))).trim().split('\n'))
      // The names of those that are gone are taken by none of the next: half stay, so that both are tried.
      if (index % 2 === 1) await world.driver.destroy(id)
    }
    expect(world.logged.filter((line) => line.includes('froze a machine'))).toHaveLength(1)
    for (const [index, fact] of facts.entries()) {
      const values = seen.map((lines) => lines[index] ?? '').filter((value) => value !== sumOfNothing)
      expect(values, fact).not.toContain('')
      // Addresses are those of places on the host, which the next box takes when one has left.
      const alive = fact.includes('eth0') ? values.filter((_, box) => box % 2 === 0) : values
      expect(new Set(alive).size, fact).toBe(alive.length)
    }
  } finally {
    expect(await world.end()).toEqual([])
  }
})
