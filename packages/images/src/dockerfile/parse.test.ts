import { describe, expect, it } from 'vitest'
import { parseDockerfile } from './parse.ts'

const instructions = (text: string) => parseDockerfile(`FROM x\n${text}`, 'Dockerfile').stages[0]?.instructions ?? []

describe('parsing a Dockerfile', () => {
  it('joins lines and drops comments between them', () => {
    const [one, two] = instructions('RUN a && \\\n  # note\n\n  b\nRUN c')
    expect(one).toMatchObject({ keyword: 'RUN', line: 2, json: null })
    expect(one?.rest.replace(/\s+/g, ' ')).toBe('a && b')
    expect(two).toMatchObject({ rest: 'c', line: 6 })
  })

  it('reads the exec form with spaces and escapes in its strings', () => {
    expect(instructions('RUN ["a b", "c\\"d"]')[0]?.json).toEqual(['a b', 'c"d'])
    expect(instructions('RUN [ -f x ] && y')[0]?.json).toBeNull()
  })

  it('reads flags apart from arguments', () => {
    const [one] = instructions('COPY --chown=a:b --chmod=755 --link x /y')
    expect(one?.flags).toEqual([
      { name: 'chown', value: 'a:b' },
      { name: 'chmod', value: '755' },
      { name: 'link', value: null },
    ])
    expect(one?.rest).toBe('x /y')
  })

  it('reads here-documents', () => {
    const [run, copy, last] = instructions('RUN <<A\none\n# two\nA\nCOPY <<-B <<"C" /x\n\tb\nB\nc\nC\nUSER u')
    expect(run).toMatchObject({ rest: '<<A', heredocs: [{ name: 'A', content: 'one\n# two\n', expand: true }] })
    expect(copy?.heredocs).toEqual([
      { name: 'B', content: 'b\n', expand: true },
      { name: 'C', content: 'c\n', expand: false },
    ])
    expect(last).toMatchObject({ keyword: 'USER', line: 11 })
  })

  it('follows the escape directive', () => {
    const parsed = parseDockerfile('# escape=`\nFROM x\nRUN a `\n b\n', 'Dockerfile')
    expect(parsed.escapeChar).toBe('`')
    expect(parsed.stages[0]?.instructions[0]?.rest.replace(/\s+/g, ' ')).toBe('a b')
  })

  it('splits stages and finds what stands before', () => {
    const parsed = parseDockerfile('ARG A=1\nfrom x as y\nrun a\nFROM y\n', 'Dockerfile')
    expect(parsed.globals.map((one) => one.rest)).toEqual(['A=1'])
    expect(parsed.stages.map((stage) => stage.from.rest)).toEqual(['x as y', 'y'])
  })

  it('refuses what the parser falls over', () => {
    expect(() => parseDockerfile(' scratch \\\n# \\!$\nFROM ', 'Dockerfile')).toThrow(
      expect.objectContaining({ code: 'image_build_failed' }),
    )
  })
})
