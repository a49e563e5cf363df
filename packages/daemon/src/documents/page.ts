import type { OpenApiDocument, Operation } from './document.ts'
import { describeSchema } from './schema-text.ts'

/** The API as one page for people: no script from elsewhere, no fonts, no pictures. */
export function docsPage(document: OpenApiDocument): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  const sections = document.tags.map(({ name, description }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name))
    return `<section><h2 id="${name}">${name}</h2><p>${prose(description)}</p>${own.map(card).join('')}</section>`
  })
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) =>
      `<details id="schema-${name}"><summary><code>${name}</code></summary><pre>${linked(describeSchema(schema))}</pre></details>`,
  )
  const menu = document.tags.map(({ name }) => `<a href="#${name}">${name}</a>`)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gibil API ${escaped(document.info.version)}</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>Gibil <small>API ${escaped(document.info.version)}</small></h1>
<p>${prose(document.info.description)}</p>
<p>On the unix socket <code>$GIBIL_HOME/gibild.sock</code> no token is needed; on 127.0.0.1 send
<code>Authorization: Bearer $(cat $GIBIL_HOME/token)</code>. Programs read <a href="openapi.json">openapi.json</a>.</p>
<nav>${menu.join(' ')} <a href="#schemas">schemas</a>
<input id="find" type="search" placeholder="find a call" aria-label="find a call"></nav>
</header>
<main>
${sections.join('\n')}
<section><h2 id="schemas">schemas</h2>${schemas.join('\n')}</section>
</main>
<script>${script}</script>
</body>
</html>
`
}

function card({ path, method, operation }: { path: string; method: string; operation: Operation }): string {
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation
  const rows = parameters.map(
    (parameter) =>
      `<tr><td><code>${escaped(parameter.name)}</code></td><td>${parameter.in}${parameter.required ? ', needed' : ''}</td>` +
      `<td><code>${linked(describeSchema(parameter.schema))}</code></td><td>${prose(parameter.description ?? '')}</td></tr>`,
  )
  const answers = Object.entries(responses).map(
    ([status, answer]) =>
      `<tr><td><code>${status}</code></td><td>${prose(answer.description)}</td><td>${contents(answer.content)}</td></tr>`,
  )
  return `<details class="call" id="${operationId}" data-text="${escaped(`${method} ${path} ${operationId} ${summary}`.toLowerCase())}">
<summary><b class="${method}">${method.toUpperCase()}</b> <code>${escaped(path)}</code> <span>${prose(summary)}</span></summary>
${description === undefined ? '' : `<p>${prose(description)}</p>`}
${rows.length === 0 ? '' : `<h4>Parameters</h4><table>${rows.join('')}</table>`}
${requestBody === undefined ? '' : `<h4>Body</h4>${contents(requestBody.content)}`}
<h4>Answers</h4><table>${answers.join('')}</table>
</details>`
}

const contents = (content: Operation['responses'][string]['content']): string =>
  Object.entries(content ?? {})
    .map(
      ([type, { schema }]) => `<div><small>${escaped(type)}</small><pre>${linked(describeSchema(schema))}</pre></div>`,
    )
    .join('')

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

/** Text with `code` in back quotes. */
const prose = (text: string): string => escaped(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>')

/** Schema text in which the names of schemas lead to them. */
const linked = (text: string): string => escaped(text).replaceAll(/@(\w+)/g, '<a href="#schema-$1">$1</a>')

const style = `
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#b4530a}
@media(prefers-color-scheme:dark){:root{--accent:#f0a04b}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:64rem;padding:1rem 1.25rem 6rem}
h1 small{font-weight:400;opacity:.6}h2{margin:2.5rem 0 0;text-transform:capitalize}h4{margin:1rem 0 .25rem}
a{color:var(--accent)}code,pre{font:.875em/1.45 ui-monospace,monospace}
pre{background:var(--soft);border-radius:6px;margin:.25rem 0;overflow-x:auto;padding:.6rem .75rem;white-space:pre}
nav{background:Canvas;border-bottom:1px solid var(--line);display:flex;flex-wrap:wrap;gap:.5rem 1rem;padding:.6rem 0;position:sticky;top:0}
nav a{text-transform:capitalize}nav input{font:inherit;margin-left:auto;min-width:12rem}
details{border:1px solid var(--line);border-radius:8px;margin:.5rem 0;padding:0 .9rem}
details[open]{padding-bottom:.9rem}summary{cursor:pointer;padding:.55rem 0}summary span{opacity:.75}
b{border-radius:4px;color:#fff;display:inline-block;font:600 .75rem/1.6 ui-monospace,monospace;text-align:center;width:4.2rem}
.get{background:#2563a8}.post{background:#2e7d4f}.put{background:#8a6410}.delete{background:#a83232}
table{border-collapse:collapse;width:100%}td{border-top:1px solid var(--line);padding:.35rem .75rem .35rem 0;vertical-align:top}
.hidden{display:none}
`

/** Opens the call that the address names, and finds calls by any part of their text. */
const script = `
const open = () => { const target = document.getElementById(location.hash.slice(1)); if (target instanceof HTMLDetailsElement) target.open = true }
addEventListener('hashchange', open)
open()
document.getElementById('find').addEventListener('input', (event) => {
  const words = event.target.value.toLowerCase().split(/\\s+/).filter(Boolean)
  for (const call of document.querySelectorAll('.call')) call.classList.toggle('hidden', !words.every((word) => call.dataset.text.includes(word)))
})
`
