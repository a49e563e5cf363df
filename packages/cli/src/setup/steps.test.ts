import { stripVTControlCharacters } from 'node:util'
import pc from 'picocolors'
import { describe, expect, it } from 'vitest'
import { createSteps } from './steps.ts'

const plain = stripVTControlCharacters

function sink(isTTY: boolean): { write(text: string): void; isTTY: boolean; columns: number; text: string } {
  return {
    text: '',
    isTTY,
    columns: 60,
    write(text) {
      this.text += text
    },
  }
}

describe('steps', () => {
  it('prints one line for each finished step, with its result', async () => {
    const out = sink(false)
    const steps = createSteps(out, pc.createColors(false))
    expect(await steps.run('host packages', async () => 'all there')).toBe('all there')
    expect(
      await steps.run(
        'daemon',
        async () => 42,
        (pid) => `process ${pid}`,
      ),
    ).toBe(42)
    const lines = plain(out.text).trimEnd().split('\n')
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(/✓ host packages\s+[\d.]+ m?s\s+all there$/)
    expect(lines[1]).toMatch(/✓ daemon\s+[\d.]+ m?s\s+process 42$/)
  })

  it('names the step that failed and lets the error through', async () => {
    const out = sink(false)
    const boom = new Error('no disk')
    await expect(createSteps(out, pc.createColors(false)).run('base image', () => Promise.reject(boom))).rejects.toBe(
      boom,
    )
    expect(plain(out.text)).toMatch(/✗ base image\s+failed\n$/)
  })

  it('rewrites the running step in place on a terminal and never exceeds its width', async () => {
    const out = sink(true)
    await createSteps(out, pc.createColors(false)).run('base image', async (say) => {
      say('x'.repeat(500))
      return 'built'
    })
    const rewritten = out.text.split('\r').map(plain)
    expect(rewritten.every((line) => line.length <= 60)).toBe(true)
    expect(rewritten.at(-1)).toContain('built')
  })

  it('says nothing of the running step where it cannot take it back', async () => {
    const out = sink(false)
    await createSteps(out, pc.createColors(false)).run('base image', async (say) => {
      say('halfway')
      return 'built'
    })
    expect(out.text).not.toContain('halfway')
  })
})
