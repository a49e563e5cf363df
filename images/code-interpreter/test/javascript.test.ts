import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Kernel, startKernel } from './kernel.ts'

let folder: string
let kernel: Kernel
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gibil-kernel-'))
  await writeFile(join(folder, 'own.mjs'), 'export const answer = 42\nexport default "whole"\n')
  await mkdir(join(folder, 'node_modules', 'only-esm'), { recursive: true })
  const manifest = { name: 'only-esm', exports: { import: './index.mjs' } }
  await writeFile(join(folder, 'node_modules', 'only-esm', 'package.json'), JSON.stringify(manifest))
  await writeFile(join(folder, 'node_modules', 'only-esm', 'index.mjs'), 'export const name = "esm"\n')
  kernel = startKernel(folder)
})
afterAll(async () => {
  await kernel[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

const run = (code: string) => kernel.ask({ run: code })
const text = async (code: string): Promise<unknown> => {
  const [answer] = await run(code)
  return answer?.error ?? answer?.result?.['text/plain']
}

describe('the JavaScript kernel', () => {
  test('keeps what cells declare, which may be declared again', async () => {
    expect(await run('const a = { b: 1 }')).toEqual([])
    expect(await text('const a = { b: 2 }; a')).toBe('{ b: 2 }')
    expect(await text('class C {}; let d = () => new C(); d()')).toBe('C {}')
    expect(await text('a.b + 1')).toBe('3')
    expect(await text('"a text"')).toBe('a text')
    expect(await text('({ e: 1n })')).toBe('{ e: 1n }')
  })

  test('awaits where no function is', async () => {
    expect(await text('const later = await Promise.resolve("hi"); later')).toBe('hi')
    expect(await text('await Promise.reject(new TypeError("no"))')).toMatchObject({ name: 'TypeError', value: 'no' })
  })

  test('imports in every form, and from where it works', async () => {
    expect(await text('import { readFileSync as read } from "fs"\ntypeof read')).toBe('function')
    expect(await text('import whole, { answer } from "./own.mjs"; whole + answer')).toBe('whole42')
    expect(await text('import * as own from "./own.mjs"\nown.answer')).toBe('42')
    expect(await text('(await import("only-esm")).name')).toBe('esm')
    expect(await text('require("node:path").basename("/a/b")')).toBe('b')
    expect(await text('export const exported = 5\nexported')).toBe('5')
    expect(await text('`import x from "y"`')).toBe('import x from "y"')
    expect(await text('import { nothing } from "only-cjs"')).toMatchObject({ name: 'Error' })
  })

  test('takes TypeScript', async () => {
    const typed = 'enum Color { Red = 3 }\nconst c: Color = Color.Red; c as number'
    expect(await kernel.ask({ run: typed, typescript: true })).toEqual([{ result: { 'text/plain': '3' }, main: true }])
    const [answer] = await kernel.ask({ run: 'const x: = 1', typescript: true })
    expect(answer?.error?.name).toBe('SyntaxError')
  })

  test('tells of errors where they were', async () => {
    const [answer] = await run('function broken() {\n  null.x\n}\nbroken()')
    expect(answer?.error).toMatchObject({ name: 'TypeError', value: expect.stringContaining("reading 'x'") })
    expect(answer?.error?.traceback.split('\n')).toEqual([
      "TypeError: Cannot read properties of null (reading 'x')",
      '    at broken (<anonymous>:2:8)',
      '    at <anonymous>:4:1',
    ])
    expect(await text('throw { odd: 1 }')).toMatchObject({ value: '{ odd: 1 }' })
    expect(await text('const =')).toMatchObject({ name: 'SyntaxError' })
  })

  test('shows values beside the result', async () => {
    const html = `{ [Symbol.for('Jupyter.display')]: () => ({ 'text/html': '<b>' }) }`
    expect(await run(`await display(${html}); await display({ 'image/png': 'AA==' }, { raw: true }); 7`)).toEqual([
      { result: { 'text/html': '<b>' }, main: false },
      { result: { 'image/png': 'AA==' }, main: false },
      { result: { 'text/plain': '7' }, main: true },
    ])
  })

  test('changes its environment', async () => {
    expect(await kernel.ask({ environment: { GREETING: 'hello', HOME: null } })).toEqual([])
    expect(await text('process.env.GREETING + process.env.HOME')).toBe('helloundefined')
  })

  test('outlives what goes wrong after a cell, and goes when it is told to', async () => {
    await run('setTimeout(() => { throw new Error("late") }); Promise.reject(new Error("unseen")); 0')
    await expect.poll(() => kernel.output()).toMatch(/late[\s\S]*unseen|unseen[\s\S]*late/)
    expect(await text('1')).toBe('1')
    await using other = startKernel(folder)
    other.send({ run: 'process.exit(3)' })
    expect(await other.ended).toBe(3)
  })

  test.each(['while (true);', 'await new Promise(() => {})', 'await 1; while (true);'])(
    'is interrupted in %s',
    async (endless) => {
      kernel.send({ run: `console.log("begun ${endless}"); ${endless}` })
      await expect.poll(() => kernel.output()).toContain(`begun ${endless}`)
      kernel.interrupt()
      expect(await kernel.ask()).toMatchObject([{ error: { name: 'Interrupted' } }])
      expect(await text('2')).toBe('2')
    },
  )
})
