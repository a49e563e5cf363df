import pc from 'picocolors'
import { expect, test } from 'vitest'
import { createProgress } from './progress.ts'

function progressOn(isTTY: boolean) {
  const written: string[] = []
  const write = (text: string): boolean => written.push(text) > 0
  const progress = createProgress({ stderr: { write, isTTY }, colors: pc.createColors(false) }, 'box')
  return { progress, text: () => written.join('') }
}

const notice = { phase: 'boot', message: 'it is slow', notice: true }

test.each([true, false])(
  'a notice is a line that stays, and stands there once for all boxes of a fleet; terminal: %s',
  (isTTY) => {
    const { progress, text } = progressOn(isTTY)
    progress.onProgress(notice)
    progress.onProgress({ phase: 'boot', message: 'as it comes' })
    progress.onProgress({ ...notice, phase: 'w-2: boot' })
    progress.end()
    expect(text().split('! it is slow\n')).toHaveLength(2)
  },
)
