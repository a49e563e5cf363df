import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { file_filesystem } from './gen/filesystem_pb.js'
import { file_process } from './gen/process_pb.js'

// The compiler is not there when tests run: what the text declares is looked for in what was generated.
test.each([
  ['process', file_process],
  ['filesystem', file_filesystem],
])('the code of %s.proto is that of its text', async (name, { proto }) => {
  const text = await readFile(join(import.meta.dirname, '..', 'proto', `${name}.proto`), 'utf8')
  const declared = text.replaceAll(/\/\/.*/g, '')
  const fields = [...declared.matchAll(/^\s+(?:optional |repeated )?[\w.]+(?:<.*>)? (\w+) = (\d+);/gm)]
  const calls = [...declared.matchAll(/rpc (\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\)/g)]
  const generatedFields = proto.messageType.flatMap((message) =>
    message.field.map((field) => `${field.name} ${field.number}`),
  )
  expect(generatedFields.toSorted()).toEqual(fields.map(([, field, number]) => `${field} ${number}`).toSorted())
  const generatedCalls = proto.service.flatMap(({ method }) =>
    method.map((one) => [one.name, one.clientStreaming, one.inputType, one.serverStreaming, one.outputType].join(' ')),
  )
  expect(generatedCalls).toEqual(
    calls.map(([, call, into, input, out, output]) =>
      [call, into !== undefined, `.${name}.${input}`, out !== undefined, `.${name}.${output}`].join(' '),
    ),
  )
})
