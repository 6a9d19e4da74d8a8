# The target tflm::tflm: your own, or made of TensorFlow Lite Micro's sources, the folder that its own script
# writes (in a checkout of tensorflow/tflite-micro):
#
#   python3 tensorflow/lite/micro/tools/project_generation/create_tflm_tree.py <folder>
#
# and -DTFLM_DIR=<folder>. With --makefile_options="TARGET=cortex_m_generic TARGET_ARCH=cortex-m4+fp
# OPTIMIZED_KERNEL_DIR=cmsis_nn" the folder holds CMSIS-NN.
if(NOT TARGET tflm::tflm)
  get_filename_component(TFLM_DIR "${TFLM_DIR}" ABSOLUTE BASE_DIR ${CMAKE_BINARY_DIR})
  if(NOT EXISTS ${TFLM_DIR}/tensorflow/lite/micro/micro_interpreter.h)
    message(FATAL_ERROR "TensorFlow Lite Micro is needed: give -DTFLM_DIR=<the folder that TFLM's "
                        "create_tflm_tree.py wrote>, or define the target tflm::tflm")
  endif()
  file(GLOB_RECURSE tflm_sources ${TFLM_DIR}/tensorflow/*.cc ${TFLM_DIR}/tensorflow/*.c
       ${TFLM_DIR}/third_party/*.c)
  file(GLOB tflm_include ${TFLM_DIR}/third_party/* ${TFLM_DIR}/third_party/*/include
       ${TFLM_DIR}/third_party/*/Include ${TFLM_DIR}/third_party/*/CMSIS/Core/Include)
  list(FILTER tflm_sources EXCLUDE REGEX "kissfft|/signal/")
  add_library(tflm STATIC ${tflm_sources})
  add_library(tflm::tflm ALIAS tflm)
  target_include_directories(tflm SYSTEM PUBLIC ${TFLM_DIR} ${tflm_include})
  target_compile_definitions(tflm PUBLIC TF_LITE_STATIC_MEMORY)
  target_compile_features(tflm PUBLIC cxx_std_17)
  target_compile_options(tflm PRIVATE -O2 -w $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>
                         $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>
                         $<$<COMPILE_LANGUAGE:CXX>:-fno-threadsafe-statics>)
  if(EXISTS ${TFLM_DIR}/tensorflow/lite/micro/kernels/cmsis_nn)
    target_compile_definitions(tflm PUBLIC CMSIS_NN)
  endif()
endif()
