/** What may stand in a `.gibil.yml`. The docs table and its JSON schema come from here. */
import { OnExpire, OnFailure, parseDuration, parseMib, ShapeOrPreset, SizePreset } from '@gibil/contract'
import * as z from 'zod'
import { databaseNames } from './databases.ts'

const readBy =
  <T>(read: (value: T) => unknown) =>
  (value: T): boolean => {
    try {
      read(value)
      return true
    } catch {
      return false
    }
  }

const Duration = z
  .union([z.string(), z.number()])
  .refine(readBy(parseDuration), 'is not a duration: write 90m, 2h, 7d or a number of minutes')
const Ttl = z
  .union([z.string(), z.number()])
  .refine((value) => value === 'none' || readBy(parseDuration)(value), 'is not a duration: write 90m, 2h, 7d or "none"')
const Amount = z
  .union([z.string(), z.number()])
  .refine(readBy(parseMib), 'is not an amount: write 512M, 4G or a number of GiB')
const Text = z.string().trim().min(1, 'is empty')
const Port = z.int().min(1).max(65_535)
const EnvName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not the name of a variable')
const Env = z.record(EnvName, z.union([z.string(), z.number(), z.boolean()]))
const UnitName = z.string().regex(/^[A-Za-z0-9][\w.:@-]{0,62}$/, 'is not the name of a unit')
const StepName = z
  .string()
  .regex(/^[A-Za-z0-9][\w .:/-]{0,62}$/, 'is not a name: use letters, digits, space and . _ : / -')

const step = {
  run: Text.describe('a line for bash'),
  cwd: Text.optional().describe('relative to the repository'),
  env: Env.optional(),
  timeout: Duration.optional(),
}
const Step = z.strictObject({ name: StepName.optional(), ...step })
export const TaskEntry = z.union([Text, Step])
const Steps = z.union([Text, z.array(TaskEntry)])

const exactlyOne =
  <K extends string>(...keys: readonly K[]) =>
  (value: Partial<Record<K, unknown>>): boolean =>
    keys.filter((key) => value[key] !== undefined).length === 1

export const ReadyEntry = z
  .strictObject({
    command: Text.optional().describe('ready when it ends with 0'),
    port: Port.optional().describe('ready when a TCP connection to it succeeds'),
    http: z
      .string()
      .regex(
        /^http:\/\/(localhost|127\.0\.0\.1)(:\d{1,5})?(\/\S*)?$/,
        'is not an address such as http://localhost:3000/health',
      )
      .optional()
      .describe('ready when it answers with a status of 200 to 399'),
    log: Text.optional().describe('ready when its output contains this text'),
    timeout: Duration.optional().describe('default 60s'),
  })
  .refine(exactlyOne('command', 'port', 'http', 'log'), 'needs exactly one of command, port, http and log')

const Service = z
  .strictObject({
    command: Text.optional().describe('a line for bash that goes on running'),
    image: Text.optional().describe('a container image, in a box whose shape has Docker'),
    unit: UnitName.optional().describe('a unit of systemd that the image has, in a box of the shape vm'),
    cwd: Text.optional(),
    env: Env.optional(),
    ports: z.array(Port).optional(),
    ready: ReadyEntry.optional(),
  })
  .refine(exactlyOne('command', 'image', 'unit'), 'needs exactly one of command, image and unit')
export const ServiceEntry = z.union([Text, Service])
const ServiceMap = z.record(
  z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'is not a name: use a-z, 0-9, _ and -'),
  ServiceEntry,
)

export const GibilYml = z.strictObject({
  image: Text.optional(),
  shape: ShapeOrPreset.optional(),
  size: SizePreset.optional(),
  cpu: z.number().positive().optional(),
  memory: Amount.optional(),
  disk: Amount.optional(),
  ttl: Ttl.optional(),
  idle: Duration.optional(),
  onExpire: OnExpire.optional(),
  onIdle: OnExpire.optional().describe('when the idle limit has passed; default pause'),
  onFailure: OnFailure.optional().describe('when the box ends by itself or hangs; default restart'),
  env: Env.optional(),
  setup: z
    .union([Text, z.strictObject({ run: Text, timeout: Duration.optional() })])
    .optional()
    .describe('a script for bash, run as root before the repository comes; what it made is kept'),
  runtime: z
    .partialRecord(
      z.enum(['node', 'npm', 'pnpm', 'yarn', 'bun', 'deno', 'python', 'go', 'ruby', 'java', 'rust', 'php']),
      z.union([z.string(), z.number()]),
    )
    .optional(),
  services: z
    .union([ServiceMap, z.array(z.enum(databaseNames))])
    .optional()
    .describe('started in this order; the image vm has those of a list'),
  tasks: z.array(TaskEntry).optional().describe('run in order, once'),
  ports: z.array(Port).optional().describe('where the project listens'),
  hooks: z
    .strictObject({
      onCreate: Steps.optional().describe('once, after the services and before the tasks'),
      onStart: Steps.optional().describe('each time the box has started, after services and tasks'),
      sessionStart: z.boolean().optional().describe('false: those of .claude/settings.json do not run by themselves'),
      beforeExpire: z
        .union([Text, z.strictObject(step)])
        .optional()
        .describe('before the lease ends; it gets 30s unless it names a timeout'),
    })
    .optional(),
})
export type GibilYml = z.infer<typeof GibilYml>
