//! Memory for one decision: it is handed out and never taken back, since the whole instance is thrown away.

use core::arch::wasm32;

const PAGE_BYTES: usize = 65536;
const ALIGNMENT: usize = 8;

extern "C" {
    /// Where the linker's own data end.
    static __heap_base: u8;
}

/// The first byte that nobody has, and the first behind what is ours. A module has one thread.
static mut NEXT: usize = 0;
static mut END: usize = 0;

/// Room for so many bytes, aligned for everything here; null where there is none.
pub fn allocate(bytes: usize) -> *mut u8 {
    // Sound: one thread, and no reference to these two ever leaves this function.
    unsafe {
        if END == 0 {
            NEXT = align(&__heap_base as *const u8 as usize);
            END = wasm32::memory_size(0) * PAGE_BYTES;
        }
        let wanted = match bytes.checked_add(ALIGNMENT) {
            Some(wanted) => align(wanted),
            None => return core::ptr::null_mut(),
        };
        if END - NEXT < wanted {
            let before = wasm32::memory_grow(0, (wanted + PAGE_BYTES - 1) / PAGE_BYTES);
            if before == usize::MAX {
                return core::ptr::null_mut();
            }
            if before * PAGE_BYTES != END {
                NEXT = before * PAGE_BYTES; // another allocator has grown the memory meanwhile
            }
            END = wasm32::memory_size(0) * PAGE_BYTES;
        }
        let place = NEXT;
        NEXT += wanted;
        place as *mut u8
    }
}

/// Stops the module: the request is denied.
pub fn stop() -> ! {
    wasm32::unreachable()
}

fn align(bytes: usize) -> usize {
    (bytes + ALIGNMENT - 1) & !(ALIGNMENT - 1)
}
