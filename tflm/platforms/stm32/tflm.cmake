# The target tflm::tflm: your own, or made of -DTFLM_DIR=<folder with include/ and lib/libtflm.a>.
if(NOT TARGET tflm::tflm)
  if(NOT TFLM_DIR)
    message(FATAL_ERROR "TensorFlow Lite Micro is needed: define the target tflm::tflm, or give "
                        "-DTFLM_DIR=<folder with include/ and lib/libtflm.a>")
  endif()
  find_library(TFLM_LIBRARY NAMES tflm tensorflow-microlite PATHS ${TFLM_DIR}/lib REQUIRED
               NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
  add_library(tflm::tflm STATIC IMPORTED)
  set_target_properties(tflm::tflm PROPERTIES
    IMPORTED_LOCATION ${TFLM_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${TFLM_DIR}/include
    INTERFACE_COMPILE_DEFINITIONS TF_LITE_STATIC_MEMORY)
endif()
