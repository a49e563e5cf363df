import { GibilError } from '@gibil/contract'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readIgnores } from './ignore-file.ts'
import { parseDockerfile } from './parse.ts'
import { planStages } from './plan.ts'
import { expand, expandText, pairs, SyntaxProblem, splitWords } from './words.ts'

const lookup = (name: string): string | undefined => ({ A: 'a', EMPTY: '', LONG: 'x y' })[name]
const piece = fc.oneof(
  fc.constantFrom('$', '${', '}', '${A', ':-', ':+', ':?', '"', "'", '\\', '`', ' ', '\t', '=', 'A', 'EMPTY'),
  fc.string({ maxLength: 3 }),
)
const words = fc.array(piece, { maxLength: 30 }).map((parts) => parts.join(''))
const escapeChar = fc.constantFrom('\\', '`')

describe('words of an instruction', () => {
  test('are read, or refused as wrong syntax', () => {
    fc.assert(
      fc.property(words, escapeChar, (text, escape_) => {
        for (const read of [
          () => splitWords(text, escape_).map((word) => expand(word, lookup, escape_)),
          () => expandText(text, lookup),
          () => pairs(text, lookup, escape_),
        ]) {
          try {
            read()
          } catch (error) {
            expect(error).toBeInstanceOf(SyntaxProblem)
          }
        }
      }),
    )
  })

  test('quoted as a shell does, come back as they were', () => {
    const word = fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !text.includes("'"))
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), escapeChar, (list, escape_) => {
        const text = list.map((one) => `'${one}'`).join(' ')
        expect(splitWords(text, escape_).map((one) => expand(one, lookup, escape_))).toEqual(list)
      }),
    )
  })
})

describe('a Dockerfile', () => {
  const keyword = fc.constantFrom('FROM', 'RUN', 'COPY', 'ARG', 'ENV', 'from', 'ADD', 'HEALTHCHECK', '#', 'ONBUILD', '')
  const rest = fc.oneof(
    words,
    fc.constantFrom(
      'scratch',
      'a AS b',
      '--from=b /x /y',
      '--platform=$A x',
      '<<EOF',
      '<<-"E"\n\tx\nE',
      '["a"',
      '["a", 1]',
    ),
  )
  const line = fc.tuple(keyword, rest, fc.constantFrom('', '\\', ' \\', '\r')).map(([a, b, c]) => `${a} ${b}${c}`)
  const file = fc
    .tuple(fc.constantFrom('', '# escape=`\n', '# syntax=x\n'), fc.array(line, { maxLength: 8 }))
    .map(([directive, lines]) => directive + lines.join('\n'))

  test('is planned, or refused with its place', () => {
    fc.assert(
      fc.property(file, (text) => {
        try {
          planStages(parseDockerfile(text, 'Dockerfile'), lookup, 'linux/amd64')
        } catch (error) {
          expect(GibilError.is(error) || error instanceof SyntaxProblem, String(error)).toBe(true)
        }
      }),
    )
  })
})

describe('a .dockerignore', () => {
  const pattern = fc
    .array(
      fc.constantFrom(
        '*',
        '**',
        '**/',
        '?',
        '[',
        ']',
        '[z-a]',
        '[^',
        '-',
        '!',
        '/',
        'a',
        'b',
        '\\',
        '.',
        '#',
        '(',
        ')',
      ),
      {
        maxLength: 12,
      },
    )
    .map((parts) => parts.join(''))

  test('is read, whatever stands in it, and answers at once', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(pattern, fc.string()), { maxLength: 4 }),
        fc.stringMatching(/^[ab/]{0,60}$/),
        (lines, path) => {
          expect(typeof readIgnores(lines.join('\n'))(path)).toBe('boolean')
        },
      ),
    )
  })
})
