import { expect, it } from 'vitest'
import { droppingChains } from './firewall.ts'
import { homeNames } from './names.ts'

const names = homeNames('/srv/a')
const chain = (facts: object) => ({ chain: { family: 'inet', table: 'filter', name: 'forward', ...facts } })

it('finds the chains of others that drop what is forwarded', () => {
  const json = JSON.stringify({
    nftables: [
      { metainfo: { version: '1.0.6' } },
      chain({ hook: 'forward', policy: 'drop' }),
      chain({ family: 'ip', name: 'FORWARD', hook: 'forward', policy: 'drop' }),
      chain({ hook: 'input', policy: 'drop' }),
      chain({ hook: 'forward', policy: 'accept' }),
      chain({ table: names.prefix, hook: 'forward', policy: 'drop' }),
      chain({ family: 'ip6', hook: 'forward', policy: 'drop' }),
      chain({}),
    ],
  })
  expect(droppingChains(json, names)).toEqual([
    { family: 'inet', table: 'filter', chain: 'forward' },
    { family: 'ip', table: 'filter', chain: 'FORWARD' },
  ])
  expect(droppingChains('{}', names)).toEqual([])
})
