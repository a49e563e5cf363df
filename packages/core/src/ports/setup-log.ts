/** What the set-up of a box printed (clone, services, tasks, hooks), bounded, kept until the box is destroyed. */
export interface SetupLog {
  append(boxId: string, text: string): Promise<void>
  /** Text from a byte offset on, at most `limit` bytes. */
  read(boxId: string, offset: number, limit: number): Promise<{ text: string; nextOffset: number }>
  remove(boxId: string): Promise<void>
}
