import { expect, test } from 'vitest'
import type { Service } from '../gibil-yml/config.ts'
import { aRecord } from '../test/a-record.ts'
import { readyRequest, serviceRequest, startUnitRequest } from './service-command.ts'

const db: Service = {
  name: 'db',
  command: null,
  image: 'postgres:16',
  cwd: null,
  env: { POSTGRES_PASSWORD: "it's" },
  ready: null,
}
const run = { record: aRecord() }

test('an image becomes a container with the network of the box, and no value of its env is in a command line', () => {
  const { argv, env } = serviceRequest(run, db, 'service db')
  expect(argv.slice(3)).toEqual([
    'service db',
    'gibil-db',
    '--network',
    'host',
    '--env',
    'POSTGRES_PASSWORD',
    'postgres:16',
  ])
  expect(env).toEqual({ POSTGRES_PASSWORD: "it's" })
})

test('a unit is started by the init of the box, and its name is no part of a command line', () => {
  const { argv } = startUnitRequest('postgresql', 'start db')
  expect(argv.slice(3)).toEqual(['start db', 'postgresql'])
  expect(argv[2]).toContain('systemctl start -- "$unit"')
  const shown = serviceRequest(run, { ...db, image: null, unit: 'postgresql' }, 'service db').argv
  expect(shown[2]).toMatch(/exec .*journalctl .*--follow/)
  expect(shown.slice(3)).toEqual(['service db', 'postgresql'])
})

test('a ready command is run where the service is', () => {
  const inContainer = readyRequest(run, db, 'pg_isready -q')
  expect(inContainer.argv).toEqual(['docker', 'exec', 'gibil-db', 'sh', '-c', 'pg_isready -q'])
  const inBox = readyRequest(run, { ...db, image: null, command: 'postgres' }, 'pg_isready -q')
  expect(inBox.argv).toEqual(['bash', '-c', 'pg_isready -q'])
})
