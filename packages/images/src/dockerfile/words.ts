/** Words of an instruction: split at white space, quotes and escapes read as a shell does, variables put in. */

export type Lookup = (name: string) => string | undefined

/** What is wrong with an instruction, as a sentence without its place. */
export class SyntaxProblem extends Error {
  override readonly name = 'SyntaxProblem'
}

/** Splits at white space outside of quotes; quotes and escapes stay in the words. */
export const splitWords = (text: string, escapeChar: string): string[] => {
  const words: string[] = []
  let word = ''
  let quote = ''
  let inWord = false
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] ?? ''
    if (char === escapeChar && quote !== "'" && at + 1 < text.length) {
      word += char + text[at + 1]
      at += 1
      inWord = true
    } else if (quote === '' && /\s/.test(char)) {
      if (inWord) words.push(word)
      word = ''
      inWord = false
    } else {
      if (char === quote) quote = ''
      else if (quote === '' && (char === '"' || char === "'")) quote = char
      word += char
      inWord = true
    }
  }
  if (quote !== '') throw new SyntaxProblem(`A quote ${quote} is not closed.`)
  return inWord ? [...words, word] : words
}

const name = /^[A-Za-z_][A-Za-z0-9_]*/

/** Reads the variable at the start of `rest` (after its `$`): its value, and how many characters it took. */
const variable = (rest: string, lookup: Lookup, escapeChar: string): { value: string; length: number } => {
  const plain = name.exec(rest)?.[0]
  if (plain !== undefined) return { value: lookup(plain) ?? '', length: plain.length }
  if (!rest.startsWith('{')) return { value: '$', length: 0 }
  const close = closingBrace(rest)
  const inner = rest.slice(1, close)
  const [key] = name.exec(inner) ?? []
  if (key === undefined) throw new SyntaxProblem(`\${${inner}} names no variable.`)
  const operator = /^(:[-+?]|[-+?])?/.exec(inner.slice(key.length))?.[0] ?? ''
  const operand = inner.slice(key.length + operator.length)
  const value = lookup(key)
  const isSet = value !== undefined && !(operator.startsWith(':') && value === '')
  const length = close + 1
  const other = () => expand(operand, lookup, escapeChar)
  switch (operator.at(-1)) {
    case '-':
      return { value: isSet ? value : other(), length }
    case '+':
      return { value: isSet ? other() : '', length }
    case '?':
      if (!isSet) throw new SyntaxProblem(`${key}: ${other() || 'not set'}.`)
      return { value, length }
    default:
      if (operand !== '') throw new SyntaxProblem(`\${${inner}} is a form of expansion that is not supported.`)
      return { value: value ?? '', length }
  }
}

const closingBrace = (rest: string): number => {
  let depth = 0
  for (let at = 0; at < rest.length; at += 1) {
    if (rest[at] === '{') depth += 1
    if (rest[at] === '}') depth -= 1
    if (depth === 0) return at
  }
  throw new SyntaxProblem(`\${ is not closed.`)
}

/** One word with its quotes and escapes taken away and its variables put in. */
export const expand = (word: string, lookup: Lookup, escapeChar: string): string => {
  let result = ''
  let quote = ''
  for (let at = 0; at < word.length; at += 1) {
    const char = word[at] ?? ''
    const next = word[at + 1]
    if (quote === "'") {
      if (char === "'") quote = ''
      else result += char
    } else if (char === escapeChar && next !== undefined) {
      // In double quotes an escapeChar keeps its character unless it means something there.
      result += quote === '"' && !['"', '$', escapeChar].includes(next) ? char + next : next
      at += 1
    } else if (char === '"' || char === "'") {
      if (quote === '') quote = char
      else if (quote === char) quote = ''
      else result += char
    } else if (char === '$') {
      const { value, length } = variable(word.slice(at + 1), lookup, escapeChar)
      result += value
      at += length
    } else result += char
  }
  return result
}

/** Variables put into the text of a here-document, where quotes mean nothing. */
export const expandText = (text: string, lookup: Lookup): string => {
  let result = ''
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] ?? ''
    if (char === '\\' && (text[at + 1] === '$' || text[at + 1] === '\\')) {
      result += text[at + 1]
      at += 1
    } else if (char === '$') {
      const { value, length } = variable(text.slice(at + 1), lookup, '\\')
      result += value
      at += length
    } else result += char
  }
  return result
}

/** `KEY=value` words, or the old form `KEY the rest`. */
export const pairs = (text: string, lookup: Lookup, escapeChar: string): [string, string][] => {
  const words = splitWords(text, escapeChar)
  const [first = ''] = words
  if (!first.includes('=')) {
    const value = text.trim().slice(first.length).trim()
    if (words.length < 2) throw new SyntaxProblem(`${first} has no value; write ${first}=value.`)
    return [[expand(first, lookup, escapeChar), expand(value, lookup, escapeChar)]]
  }
  return words.map((word) => {
    const at = word.indexOf('=')
    if (at <= 0) throw new SyntaxProblem(`${word} is not KEY=value.`)
    return [expand(word.slice(0, at), lookup, escapeChar), expand(word.slice(at + 1), lookup, escapeChar)]
  })
}
