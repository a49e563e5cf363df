// Makes of a cell what V8 evaluates as a line of a console, where `await` and a second `const` of one name are allowed already, and imports
// are not.
import { createRequire, stripTypeScriptTypes } from 'node:module'

// The parser that Node's own console has. Node is pinned by the image; nothing has to be fetched for it.
const require = createRequire(import.meta.url)
const { parse } = require('internal/deps/acorn/acorn/dist/acorn')
const { simple } = require('internal/deps/acorn/acorn-walk/dist/walk')

const importer = `globalThis[Symbol.for('code-interpreter.import')]`

/** Throws SyntaxError for TypeScript that is none. */
export function withoutTypes(code) {
  try {
    return stripTypeScriptTypes(code)
  } catch (error) {
    // Enums and the like are more than types. Only then, since that way drops imports which this cell does not use.
    if (error.code !== 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') throw error
    return stripTypeScriptTypes(code, { mode: 'transform' })
  }
}

/** Each line keeps its number. Code that is no JavaScript is left as it is: V8 says best what is wrong with it. */
export function rewritten(code) {
  // Most cells have neither, and need no parser.
  if (!/\b(import|export)\b/.test(code)) return code
  let program
  try {
    program = parse(code, {
      ecmaVersion: 'latest',
      sourceType: 'module',
      allowAwaitOutsideFunction: true,
      allowHashBang: true,
    })
  } catch {
    return code
  }
  const edits = []
  const replace = (from, to, text) => edits.push({ from, to, text })
  for (const node of program.body) {
    if (node.type === 'ImportDeclaration') {
      const lines = code.slice(node.start, node.end).split('\n').length - 1
      replace(node.start, node.end, importing(node, code) + '\n'.repeat(lines))
    }
    const { declaration } = node
    if (node.type === 'ExportNamedDeclaration' && declaration) replace(node.start, declaration.start, '')
    if (node.type === 'ExportDefaultDeclaration') replace(node.start, declaration.start, '')
  }
  simple(program, {
    ImportExpression: ({ start }) => replace(start, start + 'import'.length, `${importer}`),
  })
  let result = code
  for (const { from, to, text } of edits.sort((a, b) => b.from - a.from)) {
    result = result.slice(0, from) + text + result.slice(to)
  }
  return result
}

function importing({ source, specifiers, attributes = [] }, code) {
  const options = attributes.map(({ key, value }) => `${code.slice(key.start, key.end)}: ${value.raw}`)
  const given = options.length > 0 ? `, { with: { ${options.join(', ')} } }` : ''
  const module = `await ${importer}(${source.raw}${given})`
  const whole = specifiers.find(({ type }) => type === 'ImportNamespaceSpecifier')
  const names = specifiers.flatMap(({ type, imported, local }) => {
    if (type === 'ImportDefaultSpecifier') return [`default: ${local.name}`]
    return type === 'ImportSpecifier' ? [`${imported.raw ?? imported.name}: ${local.name}`] : []
  })
  if (whole) {
    const rest = names.length > 0 ? `, { ${names.join(', ')} } = ${whole.local.name}` : ''
    return `const ${whole.local.name} = ${module}${rest};`
  }
  return specifiers.length > 0 ? `const { ${names.join(', ')} } = ${module};` : `${module};`
}
